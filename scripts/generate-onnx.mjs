// Writes src/graph/onnx_pb.ts from src/graph/onnx.proto (development only; the result is committed).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const work = mkdtempSync(join(tmpdir(), 'malmen-buf-'));
const template = join(work, 'buf.gen.yaml');
const plugin = {
  local: resolve('node_modules/.bin/protoc-gen-es'),
  out: resolve('.'),
  opt: ['target=ts', 'import_extension=js'],
};
writeFileSync(template, JSON.stringify({ version: 'v2', plugins: [plugin] }));
execFileSync(resolve('node_modules/.bin/buf'), ['generate', '--template', template, '--path', 'src/graph/onnx.proto'], {
  stdio: 'inherit',
});
rmSync(work, { recursive: true });
