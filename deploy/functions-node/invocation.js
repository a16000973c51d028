// One run of a function: the contract's payload in, its answer out.

import { randomUUID } from "node:crypto";
import { readOnly } from "./core_module.js";
import { fromHttpResponse, toHttpRequest } from "./http_payload.js";
import { StreamedRequest, streamMetadata } from "./http_stream.js";
import { InvocationLog } from "./log.js";
import { fromTypedData, toTriggerMetadata, toTypedData } from "./payload.js";

/** A payload that is not the contract's. */
export class BadPayload extends Error {}

export class Invocation {
  constructor(registry, fn, streamPort) {
    this.registry = registry;
    this.fn = fn;
    this.streamPort = streamPort;
    this.log = new InvocationLog(fn.name);
    this.hookData = {};
    this.state = undefined;
  }

  /** Runs the function with a payload. Throws `BadPayload`, or what the function threw. */
  run(payload, headers) {
    return this.log.follow(() => this.#run(payload, headers));
  }

  async #run(payload, headers) {
    const request = this.#makeRequest(payload, headers);
    const core = this.#makeCore(request);
    const model = await this.registry.model.getInvocationModel(core);
    const streamed = this.#startStream(request);
    try {
      const { context, inputs } = await model.getArguments();
      this.context = context;
      const result = await this.#call(core, model, context, inputs);
      const response = await model.getResponse(context, result);
      // Without a result the library answers nothing to the request that it has taken.
      return await this.#answer(response, isNothing(result) ? undefined : streamed);
    } finally {
      streamed?.drop();
    }
  }

  #makeRequest({ Data: data, Metadata: metadata }, headers) {
    const names = Object.entries(this.fn.bindings)
      .filter(([, { direction }]) => direction !== "out")
      .sort(([, one], [, other]) => isTrigger(other) - isTrigger(one));
    const trigger = names.find(([, binding]) => isTrigger(binding))?.[0];
    if (data === null || typeof data !== "object" || !(trigger in data)) {
      throw new BadPayload(`'Data' has no member '${trigger}', which is the trigger's name`);
    }
    return {
      invocationId: headers["x-azure-functions-invocationid"] ?? randomUUID(),
      functionId: this.fn.name,
      inputData: names.map(([name, binding]) => ({ name, data: readInput(binding, data[name]) })),
      triggerMetadata: toTriggerMetadata(metadata),
      traceContext: { traceParent: headers.traceparent ?? "", traceState: headers.tracestate ?? "", attributes: {} },
    };
  }

  #makeCore(request) {
    const { name, bindings, directory, scriptFile, entryPoint } = this.fn;
    // A copy for each run: libraries and functions write into what they are given.
    const metadata = { ...structuredClone({ name, bindings, directory, scriptFile, entryPoint }), functionId: name };
    const invocation = this;
    return {
      invocationId: request.invocationId,
      request,
      metadata,
      get state() {
        return invocation.state;
      },
      log: (level, category, message) => this.registry.log(level, category, message, this),
    };
  }

  async #call(core, model, context, inputs) {
    const fixed = { hookData: this.hookData, appHookData: this.registry.appHookData, invocationContext: context };
    const before = readOnly(fixed, { functionCallback: this.fn.callback, inputs });
    await this.#runHooks("preInvocation", "preInvocationHooks", before);
    const after = readOnly(fixed, { inputs: before.inputs, result: null, error: null });
    this.state = "invocation";
    try {
      after.result = await model.invokeFunction(context, before.inputs, before.functionCallback);
    } catch (error) {
      after.error = error ?? new Error("the function threw nothing");
    }
    await this.#runHooks("postInvocation", "postInvocationHooks", after);
    if (after.error) throw after.error;
    return after.result;
  }

  async #runHooks(kind, state, context) {
    this.state = state;
    try {
      await this.registry.runHooks(kind, context);
    } finally {
      this.state = undefined;
    }
  }

  #startStream(request) {
    const asked = request.inputData[0].data?.http;
    if (this.streamPort === undefined || asked === undefined) return undefined;
    request.triggerMetadata = streamMetadata(asked);
    return new StreamedRequest(this.streamPort, request.invocationId, asked);
  }

  async #answer({ outputData, returnValue }, streamed) {
    const outputs = Object.fromEntries((outputData ?? []).map(({ name, data }) => [name, writeOutput(data)]));
    const value = streamed ? await readStreamed(streamed) : writeOutput(returnValue);
    return { Outputs: outputs, ReturnValue: value ?? null, Logs: this.log.lines };
  }
}

async function readStreamed(streamed) {
  const response = await streamed.answer;
  const answer = fromHttpResponse(response);
  if (response.setCookies) answer.headers["Set-Cookie"] = response.setCookies;
  return answer;
}

function readInput({ type }, value) {
  return /^httptrigger$/i.test(type) ? { http: toHttpRequest(value) } : toTypedData(value);
}

function writeOutput(data) {
  return data?.http ? fromHttpResponse(data.http) : fromTypedData(data);
}

function isNothing(value) {
  return value === undefined || value === null;
}

function isTrigger({ type }) {
  return /trigger$/i.test(type);
}
