// The one script that dfaas_lab runs: it makes the requests that plan.json describes. Data in, data
// out: Python never writes JavaScript. Works with k6 v1 and v2.
import encoding from "k6/encoding";
import exec from "k6/execution";
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";
import { SharedArray } from "k6/data";

const plan = JSON.parse(open("./plan.json"));

// A SharedArray holds each body once for all VUs; what open() reads is copied for every VU.
const bodies = new SharedArray("bodies", () => JSON.parse(open("./bodies.json")));
const KEPT_PER_VU = 65536;
const KEPT_OF_NAME = 300;

export const options = plan.options;

// Counted first, so that a request that never ends is known to have begun.
const started = new Counter("dfaas_started");
const answered = new Counter("dfaas_answered");
const functionTime = new Trend("dfaas_function_ms");
// The gateway's Date less our clock, in ms: max(it) is the lower bound of the clock's skew.
const dateLead = new Trend("dfaas_date_lead_ms");

// A scenario's environment is there when it runs, not yet when a VU is made; and k6 may give one VU
// to another scenario afterwards.
const params = {};
for (const [id, request] of Object.entries(plan.requests)) {
  params[id] = {
    headers: request.headers,
    timeout: request.timeout_ms,
    redirects: 0,
    responseType: "none",
  };
}
const kept = {};

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
  const id = __ENV.FN;
  const request = plan.requests[id];
  const sent = request.body === null ? null : body(id);
  const response = http.request(request.method, request.url, sent, params[id]);
  // Date came with the headers; the body may have taken long after them.
  const received = Date.now() - response.timings.receiving;
  if (response.status === 0) return;
  const node = response.headers[plan.served_by_header];
  const metadata = exec.vu.metrics.metadata;
  if (node !== undefined) metadata.served_by = encodeURIComponent(shortened(node));
  const seconds = Number.parseFloat(response.headers["X-Duration-Seconds"]);
  if (Number.isFinite(seconds)) functionTime.add(seconds * 1000);
  else if (node !== undefined) answered.add(1);
  if (node !== undefined) delete metadata.served_by;
  if (exec.vu.iterationInInstance === 0) {
    const date = Date.parse(response.headers.Date);
    if (Number.isFinite(date)) dateLead.add(date - received);
  }
}

export function handleSummary(data) {
  return { "summary.json": JSON.stringify(data) };
}
