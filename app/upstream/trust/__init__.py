"""Who may call upstream: a code in the address, and a signature or a token that only the service can make."""

from app.upstream.trust.by_hub import Trusting, build_trusts
from app.upstream.trust.trust import HeaderLines, Trust, VouchersOf, build_trust
from app.upstream.trust.voucher import AnyVoucher, TokenVoucher, Voucher, write_vouchers

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
