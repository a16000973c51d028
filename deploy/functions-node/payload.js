// Between the custom-handler contract, which is JSON, and the typed data that a worker's libraries speak.
//
// Source: Microsoft's page "Azure Functions custom handlers", and the types of @azure/functions-core.

/**
 * The typed data of a binding's value.
 *
 * The contract writes a value that is not an object as JSON text, and a text that holds JSON therefore twice.
 */
export function toTypedData(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") return { json: JSON.stringify(value) };
  const written = parseJson(value);
  if (typeof written === "string") return { string: written };
  return written === undefined ? { string: value } : { json: value };
}

/** The JSON value of typed data. Bytes become base64 text, as the contract has them. */
export function fromTypedData(data) {
  if (data === undefined || data === null) return undefined;
  const { string, json, bytes, int, double } = data;
  if (string !== undefined) return string;
  if (json !== undefined) return JSON.parse(json);
  if (bytes !== undefined) return Buffer.from(bytes).toString("base64");
  return int ?? double;
}

/** The value of JSON text, or undefined where it is none. */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The named arguments and route parameters, without what the host makes for its own expressions. */
export function toTriggerMetadata(metadata) {
  const named = Object.entries(metadata ?? {}).filter(([name]) => name.toLowerCase() !== "sys");
  return Object.fromEntries(named.map(([name, value]) => [name, toTypedData(value)]).filter(([, data]) => data));
}
