// Runs the JavaScript of README.md and of docs/*.md against a node, from a directory where the package is installed.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';

const here = path.dirname(fileURLToPath(import.meta.url));
const { Node } = createRequire(import.meta.url)('./support/node.js');
const [, , app] = process.argv;
const home = path.dirname(here);
const pages = [path.join(home, 'README.md'), ...readdirSync(path.join(home, 'docs')).map((name) => path.join(home, 'docs', name))];
const node = await new Node().start();
let count = 0;
try {
  for (const page of pages) {
    for (const [, language, text] of readFileSync(page, 'utf8').matchAll(/^```(js|cjs)\n(.*?)^```/gms)) {
      // Each stands for itself: what it leaves out is a connected client and a collection.
      const needsClient = !/new NexaClient|require\('nexaclient'\)/.test(text);
      const before = needsClient ? "import NexaClient from 'nexaclient';\nconst db = await new NexaClient('nexadb://localhost').connect();\nconst users = db.collection('users');\n" : '';
      const source = (before + text + (needsClient ? '\nawait db.disconnect();\n' : '')).replaceAll(/nexadb:\/\/localhost(:6970)?/g, `nexadb://${node.address}`)
        .replaceAll("host: 'localhost', port: 6970", `host: '127.0.0.1', port: ${node.port}`);
      const file = path.join(app, `example${++count}.${language === 'js' ? 'mjs' : 'cjs'}`);
      writeFileSync(file, source);
      const run = spawnSync(process.execPath, [file], { cwd: app, encoding: 'utf8', timeout: 20_000 });
      if (run.status !== 0) throw new Error(`example ${count} of ${path.basename(page)} ended with ${run.status ?? run.signal}:\n${source}\n${run.stdout}\n${run.stderr}`);
      console.log(`example ${count} of ${path.basename(page)}:\n${run.stdout}`);
    }
  }
} finally {
  await node.remove();
}
if (count < 5) throw new Error(`only ${count} examples were found`);
