"""Who may call upstream: a code in the address, and a signature or a token that only the service can make."""

from signalr_bridge.upstream.trust.by_hub import Trusting, build_trusts
from signalr_bridge.upstream.trust.trust import HeaderLines, Trust, VouchersOf, build_trust
from signalr_bridge.upstream.trust.voucher import AnyVoucher, TokenVoucher, Voucher, write_vouchers

__all__ = [
    "AnyVoucher",
    "HeaderLines",
    "TokenVoucher",
    "Trust",
    "Trusting",
    "Voucher",
    "VouchersOf",
    "build_trust",
    "build_trusts",
    "write_vouchers",
]
