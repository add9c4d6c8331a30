// The one script that dfaas_lab runs: it makes the requests that plan.json describes. Data in, data
// out: Python never writes JavaScript. Works with k6 v1 and v2. What each VU keeps and each request
// does is measured in tests/benchmarks/test_instrument.py: it shall weigh next to nothing.
import encoding from "k6/encoding";
import exec from "k6/execution";
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";

// k6 takes the options from VU 0, the first that it makes. Only VU 0 reads the plan: parsed, it
// would lie in the memory of each VU. The others find their request in the environment of their
// scenario, whose texts all VUs share. None is left out, or it would be the process's own.
export const options = {};
if (__VU === 0) {
  const plan = JSON.parse(open("./plan.json"));
  const bodies = JSON.parse(open("./bodies.json"));
  Object.assign(options, plan.options);
  for (const [id, request] of Object.entries(plan.requests)) {
    const sent = request.body === null ? {} : bodies[request.body];
    Object.assign(options.scenarios[id].env, {
      METHOD: request.method,
      URL: request.url,
      HEADERS: JSON.stringify(request.headers),
      TIMEOUT_MS: String(request.timeout_ms),
      TEXT: sent.text || "",
      BASE64: sent.base64 || "",
      SERVED_BY: plan.served_by_header,
    });
  }
}

// No redirect is followed, so its answer is not what was asked for: k6 would call it a success.
// 304 is the answer to a conditional request, and leads nowhere else.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 299 }, { min: 304, max: 304 }));

// Counted first, so that a request that never ends is known to have begun.
const started = new Counter("dfaas_started");
const answered = new Counter("dfaas_answered");
const functionTime = new Trend("dfaas_function_ms");
// The gateway's Date less our clock, in ms: max(it) is the lower bound of the clock's skew.
const dateLead = new Trend("dfaas_date_lead_ms");
// A Date may have been made before a function's work: only a quick answer tells a clock.
const QUICK_MS = 500;
const KEPT_OF_NAME = 300;

let scenario;
let params;
let isFirst = true;

export function measure() {
  started.add(1);
  // A scenario's environment is there when it runs, not yet when a VU is made; and k6 may give one
  // VU to another scenario afterwards.
  const env = __ENV;
  if (scenario !== env.FN) {
    scenario = env.FN;
    params = { timeout: +env.TIMEOUT_MS };
    if (env.HEADERS !== "{}") params.headers = JSON.parse(env.HEADERS);
  }
  const sent = env.BASE64 ? encoding.b64decode(env.BASE64) : env.TEXT || null;
  const response = http.request(env.METHOD, env.URL, sent, params);
  if (response.status === 0) return;
  const headers = response.headers;
  if (isFirst) compareClocks(response, headers);
  const node = headers[env.SERVED_BY];
  const call = headers["X-Call-Id"];
  const took = headers["X-Duration-Seconds"];
  // Each built-in function that is used stays in the VU: 0.7 kB. A comparison with NaN is false.
  const seconds = took === undefined ? NaN : parseFloat(took);
  const isTimed = seconds >= 0 && seconds < Infinity;
  if (node === undefined && call === undefined) {
    if (isTimed) functionTime.add(seconds * 1000);
    return;
  }
  const metadata = exec.vu.metrics.metadata;
  if (node !== undefined) metadata.served_by = encoded(node);
  if (call !== undefined) metadata.call_id = encoded(call);
  if (isTimed) functionTime.add(seconds * 1000);
  else answered.add(1);
  if (node !== undefined) delete metadata.served_by;
  if (call !== undefined) delete metadata.call_id;
}

// Cut between characters: half of an encoded one could not be read.
function encoded(name) {
  const isShort = name.length <= KEPT_OF_NAME;
  return encodeURIComponent(isShort ? name : Array.from(name).slice(0, KEPT_OF_NAME).join(""));
}

function compareClocks(response, headers) {
  isFirst = false;
  const timings = response.timings;
  // Date came with the headers; the body may have taken long after them.
  const received = Date.now() - timings.receiving;
  const date = Date.parse(headers.Date);
  if (timings.duration <= QUICK_MS && date < Infinity) dateLead.add(date - received);
}

export function handleSummary(data) {
  return { "summary.json": JSON.stringify(data) };
}
