
import http from "k6/http";
export const options = { vus: 1, iterations: 2, tags: { function: "env" } };
export default function () { http.get(`${__ENV.GATEWAY}/function/env`); }
