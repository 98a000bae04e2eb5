// Where the hub is, where its cache is and who asks: from the environment variables that Python's library reads.
// Knows no request.

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly cacheDir: string;
  readonly token: string | undefined;
  /** Nothing is asked of the network. */
  readonly offline: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const defaultEndpoint = 'https://huggingface.co';

/** `HF_ENDPOINT`, `HF_HUB_CACHE` or `HF_HOME`, `HF_TOKEN` or the file that a log-in left, `HF_HUB_OFFLINE`. */
export async function hubSettings(environment: Environment = process.env): Promise<HubSettings> {
  const { HF_HOME, XDG_CACHE_HOME, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_ENDPOINT } = environment;
  const home = expand(HF_HOME) ?? join(expand(XDG_CACHE_HOME) ?? join(homedir(), '.cache'), 'huggingface');
  return {
    endpoint: (HF_ENDPOINT || defaultEndpoint).replace(/\/+$/, ''),
    cacheDir: expand(HF_HUB_CACHE) ?? expand(HUGGINGFACE_HUB_CACHE) ?? join(home, 'hub'),
    token: await findToken(environment, home),
    offline: isSet(environment.HF_HUB_OFFLINE) || isSet(environment.TRANSFORMERS_OFFLINE),
  };
}

const expand = (path: string | undefined) => (path ? path.replace(/^~(?=$|[\\/])/, homedir()) : undefined);

const isSet = (value: string | undefined) => /^(1|on|yes|true)$/i.test(value ?? '');

async function findToken(environment: Environment, home: string): Promise<string | undefined> {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH, HF_HUB_DISABLE_IMPLICIT_TOKEN } = environment;
  if (isSet(HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  const given = (HF_TOKEN || HUGGING_FACE_HUB_TOKEN)?.trim();
  if (given) return given;
  // Not logged in is the usual state.
  const stored = await readFile(expand(HF_TOKEN_PATH) ?? join(home, 'token'), 'utf8').catch(() => '');
  return stored.trim() || undefined;
}
