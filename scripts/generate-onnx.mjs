// Writes src/graph/onnx_pb.ts from src/graph/onnx.proto (development only; the result is committed). The generator is fetched
// when this runs (Node.js 22): it is no dependency, because few ever need it and its binaries exist for some platforms only.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const packages = ['@bufbuild/buf@1.75.0', '@bufbuild/protoc-gen-es@2.17.0'];
const work = mkdtempSync(join(tmpdir(), 'malmen-buf-'));
const template = join(work, 'buf.gen.yaml');
const plugin = { local: 'protoc-gen-es', out: resolve('.'), opt: ['target=ts', 'import_extension=js'] };
writeFileSync(template, JSON.stringify({ version: 'v2', plugins: [plugin] }));
const fetched = packages.map((name) => `--package=${name}`);
const generate = ['buf', 'generate', '--template', template, '--path', 'src/graph/onnx.proto'];
execFileSync('npx', ['--yes', ...fetched, '--', ...generate], { stdio: 'inherit' });
rmSync(work, { recursive: true });
