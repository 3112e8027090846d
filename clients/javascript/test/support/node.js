'use strict';

/** One `nexadb serve` as a child process on a free port of the loopback, stopped by its process id. */

const { spawn } = require('node:child_process');
const { mkdtempSync, rmSync, existsSync, openSync, readFileSync, closeSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const root = path.resolve(__dirname, '../../../..');
const binary = process.env.NEXADB_BIN ?? path.join(root, '.build/release/nexadb');
/** Python with what the tests need: test.sh sees to it. */
const python = path.join(root, '.venv-clients-javascript/bin/python');
const START_MS = 30_000;

/** The node's own settings do not come from the environment of the tests. */
function environment() {
  return Object.fromEntries([...Object.entries(process.env).filter(([name]) => !name.startsWith('NEXADB_')), [
    'SWIFT_BACKTRACE',
    'enable=no',
  ]]);
}

class Node {
  constructor(...options) {
    if (!existsSync(binary)) throw new Error(`${binary} is missing: build it (make build), or name another by NEXADB_BIN`);
    this.options = options;
    this.directory = mkdtempSync(path.join(tmpdir(), 'nexaclient-'));
    this.port = 0;
    this.process = null;
  }

  get address() {
    return `127.0.0.1:${this.port}`;
  }

  /** The same port is taken when it is started again. */
  async start() {
    const file = path.join(this.directory, 'output');
    const log = openSync(file, 'w');
    this.process = spawn(binary, [
      'serve',
      '--data-dir',
      path.join(this.directory, 'data'),
      '--host',
      '127.0.0.1',
      '--port',
      String(this.port),
      '--admin-port',
      '0',
      '--threads',
      '1',
      '--workers',
      '2',
      '--memory',
      '64MiB',
      ...this.options,
    ], { stdio: ['ignore', log, log], env: environment() });
    closeSync(log);
    this.exited = new Promise((resolve) => {
      this.process.once('exit', resolve);
    });
    const deadline = Date.now() + START_MS;
    while (Date.now() < deadline) {
      const output = readFileSync(file, 'utf8');
      const port = /\bport[=: ]+(\d+)[^\n]*\badmin[_-]port[=: ]+\d+/.exec(output) ?? /127\.0\.0\.1:(\d+)/.exec(output);
      if (port !== null) {
        this.port = Number(port[1]);
        return this;
      }
      if (this.process.exitCode !== null) throw new Error(`the node ended with ${this.process.exitCode}:\n${output.slice(-3000)}`);
      await sleep(10);
    }
    await this.stop('SIGKILL');
    throw new Error('the node did not start');
  }

  async stop(signal = 'SIGTERM') {
    if (this.process === null) return;
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    await this.exited;
    this.process = null;
  }

  async remove() {
    await this.stop('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

module.exports = { Node, root, binary, python, environment };
