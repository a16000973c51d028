// Calls that the bridge has signed, by the Standard Webhooks scheme, for a server that more than the bridge can reach.

import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_SECONDS = 300;
const SECRET = /^whsec_([A-Za-z0-9+/]{32,}={0,2})$/;

/** The keys of a list such as `whsec_...,whsec_...`. Throws without saying what was given. */
export function readSecrets(text = "") {
  const given = text.split(",").map((one) => one.trim()).filter((one) => one !== "");
  return given.map((one) => {
    const key = SECRET.exec(one)?.[1];
    if (key === undefined) throw new Error("FUNCTIONS_NODE_SECRETS are 'whsec_' and base64 of 24 bytes or more each");
    return Buffer.from(key, "base64");
  });
}

/** Whether one of the keys has signed the body, not more than five minutes ago. */
export function isSigned(headers, body, keys, now = Date.now()) {
  const { "webhook-id": id = "", "webhook-timestamp": moment = "", "webhook-signature": given = "" } = headers;
  if (!/^\d{1,12}$/.test(moment) || Math.abs(now / 1000 - Number(moment)) > TOLERANCE_SECONDS) return false;
  const signatures = given.split(" ").filter((one) => one.startsWith("v1,")).map((one) => Buffer.from(one.slice(3), "base64"));
  const wanted = keys.map((key) => createHmac("sha256", key).update(`${id}.${moment}.`).update(body).digest());
  return wanted.some((one) => signatures.some((other) => one.length === other.length && timingSafeEqual(one, other)));
}
