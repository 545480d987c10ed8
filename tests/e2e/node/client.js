// A client in JavaScript, from proto/ alone: it takes its task as JSON on stdin, and prints what it saw as JSON.

"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const { loadSync } = require("@grpc/proto-loader");

const task = JSON.parse(fs.readFileSync(0, "utf8"));
const services = ["auth_service", "job_service"].map((name) => path.join("jobrun", "v1", `${name}.proto`));
const api = grpc.loadPackageDefinition(
  loadSync(services, { includeDirs: [task.proto], keepCase: true, longs: String, enums: String, oneofs: true }),
).jobrun.v1;
const NAME = "jobrun.internal";
const options = { "grpc.ssl_target_name_override": NAME, "grpc.default_authority": NAME };
const credentials = grpc.credentials.createSsl(Buffer.from(task.certificate));
const auth = new api.AuthService(task.address, credentials, options);
const jobs = new api.JobService(task.address, credentials, options);

const bearer = (token) => {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
};
const deadline = () => ({ deadline: Date.now() + task.within_ms });

function call(client, method, request, token) {
  const metadata = token === undefined ? new grpc.Metadata() : bearer(token);
  return new Promise((resolve, reject) => {
    client[method](request, metadata, deadline(), (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

// The number of the status that a call ends with.
const status = (promise) => promise.then(() => grpc.status.OK, (error) => error.code);

function follow(jobId, token) {
  const output = { stdout: "", stderr: "", reason: "", exit_code: null };
  const stream = jobs.Logs({ job_id: jobId, follow: true }, bearer(token), deadline());
  return new Promise((resolve, reject) => {
    stream.on("data", ({ event, batch, end }) => {
      for (const record of event === "batch" ? batch.records : []) {
        output[record.stream === "OUTPUT_STREAM_STDOUT" ? "stdout" : "stderr"] += record.data.toString("utf8");
      }
      if (event === "end") {
        output.reason = end.job.finished.reason;
        output.exit_code = end.job.finished.exit_code;
      }
    });
    stream.on("error", reject);
    stream.on("end", () => resolve(output));
  });
}

async function run(token, script) {
  const spec = { argv: ["sh", "-c", script], env: { GREETING: Buffer.from("from node") } };
  const { job } = await call(jobs, "Start", { spec, request_id: crypto.randomUUID() }, token);
  return { id: job.id, ...(await follow(job.id, token)) };
}

const newSecret = () => crypto.randomBytes(32).toString("base64url");
const sha256 = (text) => crypto.createHash("sha256").update(text).digest();

// Log in with a refresh token of our own, work, refresh, work again, log out.
async function session() {
  const [first, second] = [newSecret(), newSecret()];
  const password = { username: task.username, password: task.password, refresh_token_sha256: sha256(first) };
  const login = await call(auth, "IssueToken", { password, client_name: "node" });
  const me = await call(auth, "WhoAmI", {}, login.access_token);
  const job = await run(login.access_token, 'echo "hello $GREETING"; echo trouble >&2; exit 7');
  const grant = { session_id: login.session_id, refresh_token: first, next_refresh_token_sha256: sha256(second) };
  const refreshed = await call(auth, "IssueToken", { refresh_token: grant });
  const again = await call(auth, "IssueToken", { refresh_token: grant });
  const { job: seen } = await call(jobs, "GetStatus", { job_id: job.id }, again.access_token);
  const last = again.access_token;
  await call(auth, "RevokeToken", {}, last);
  const [after, wrong, none] = [
    await status(call(auth, "WhoAmI", {}, last)),
    await status(call(auth, "WhoAmI", {}, `${last.slice(0, -4)}AAAA`)),
    await status(call(auth, "WhoAmI", {})),
  ];
  const { token_type, expires_in } = login;
  const same = login.session_id === refreshed.session_id && refreshed.session_id === again.session_id;
  return { me, token_type, expires_in, job, seen: seen.state, same_session: same, after, wrong, none };
}

// One string, no login.
async function machine() {
  const me = await call(auth, "WhoAmI", {}, task.token);
  const job = await run(task.token, "echo by machine");
  const revoke = await status(call(auth, "RevokeToken", {}, task.token));
  return { me, job, revoke };
}

({ session, machine })[task.what]().then(
  (seen) => console.log(JSON.stringify(seen)),
  (error) => {
    console.error(`${error.code} ${error.details ?? error}`);
    process.exitCode = 1;
  },
);
