// The name of a model on the hub, `gpt2` or `EleutherAI/gpt-j-6b@revision`. Knows no request and no file.

export interface HubId {
  /** `NAME` or `OWNER/NAME`. */
  readonly id: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

const part = '[A-Za-z0-9_](?:[\\w.-]{0,94}[\\w])?';
const pattern = new RegExp(`^(${part}(?:/${part})?)(?:@([\\w.-]+(?:/[\\w.-]+)*))?$`);

/** `undefined` for what cannot be a model's name, such as a path. */
export function parseHubId(text: string): HubId | undefined {
  const [, id, revision = 'main'] = pattern.exec(text) ?? [];
  if (id === undefined || /--|\.\./.test(id) || revision.split('/').some((piece) => /^\.+$/.test(piece)))
    return undefined;
  return { id, revision };
}

export const isCommit = (revision: string) => /^[0-9a-f]{40}$/.test(revision);

export const hubName = ({ id, revision }: HubId) => (revision === 'main' ? id : `${id}@${revision}`);
