// The one script that dfaas_lab runs: it makes the requests that plan.json describes. Data in, data
// out: Python never writes JavaScript. Works with k6 v1 and v2. What each VU keeps and each request
// does is measured in tests/benchmarks/test_instrument.py: it shall weigh next to nothing.
import encoding from "k6/encoding";
import exec from "k6/execution";
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";
import { SharedArray } from "k6/data";

const plan = JSON.parse(open("./plan.json"));

export const options = plan.options;

// No redirect is followed, so its answer is not what was asked for: k6 would call it a success.
// 304 is the answer to a conditional request, and leads nowhere else.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 299 }, 304));

// Counted first, so that a request that never ends is known to have begun.
const started = new Counter("dfaas_started");
const answered = new Counter("dfaas_answered");
const functionTime = new Trend("dfaas_function_ms");
// The gateway's Date less our clock, in ms: max(it) is the lower bound of the clock's skew.
const dateLead = new Trend("dfaas_date_lead_ms");
// A Date may have been made before a function's work: only a quick answer tells a clock.
const QUICK_MS = 500;

// A SharedArray holds each body once for all VUs; what open() reads is copied for every VU.
const hasBodies = Object.values(plan.requests).some((request) => request.body !== null);
const bodies = hasBodies
  ? new SharedArray("bodies", () => JSON.parse(open("./bodies.json")))
  : [];
const KEPT_PER_VU = 65536;
const KEPT_OF_NAME = 300;
const kept = {};
let isFirst = true;

for (const request of Object.values(plan.requests)) {
  request.params = { timeout: request.timeout_ms };
  if (Object.keys(request.headers).length > 0) request.params.headers = request.headers;
}

function body(id) {
  if (kept[id] !== undefined) return kept[id];
  const stored = bodies[plan.requests[id].body];
  const value = stored.base64 === undefined ? stored.text : encoding.b64decode(stored.base64);
  if ((stored.text || stored.base64).length <= KEPT_PER_VU) kept[id] = value;
  return value;
}

// Cut between characters: half of an encoded one could not be read.
function shortened(name) {
  return name.length <= KEPT_OF_NAME ? name : Array.from(name).slice(0, KEPT_OF_NAME).join("");
}

export function measure() {
  started.add(1);
  // A scenario's environment is there when it runs, not yet when a VU is made; and k6 may give one
  // VU to another scenario afterwards.
  const id = __ENV.FN;
  const request = plan.requests[id];
  const sent = request.body === null ? null : body(id);
  const response = http.request(request.method, request.url, sent, request.params);
  if (response.status === 0) return;
  const headers = response.headers;
  if (isFirst) compareClocks(response, headers);
  const node = headers[plan.served_by_header];
  const call = headers["X-Call-Id"];
  const seconds = Number.parseFloat(headers["X-Duration-Seconds"]);
  if (node === undefined && call === undefined) {
    if (Number.isFinite(seconds)) functionTime.add(seconds * 1000);
    return;
  }
  const metadata = exec.vu.metrics.metadata;
  if (node !== undefined) metadata.served_by = encodeURIComponent(shortened(node));
  if (call !== undefined) metadata.call_id = encodeURIComponent(shortened(call));
  if (Number.isFinite(seconds)) functionTime.add(seconds * 1000);
  else answered.add(1);
  if (node !== undefined) delete metadata.served_by;
  if (call !== undefined) delete metadata.call_id;
}

function compareClocks(response, headers) {
  isFirst = false;
  const timings = response.timings;
  // Date came with the headers; the body may have taken long after them.
  const received = Date.now() - timings.receiving;
  const date = Date.parse(headers.Date);
  if (timings.duration <= QUICK_MS && Number.isFinite(date)) dateLead.add(date - received);
}

export function handleSummary(data) {
  return { "summary.json": JSON.stringify(data) };
}
