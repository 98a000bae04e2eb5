// Prompts without their subject: what the prompts of many facts have in common.

import { type EditRecord, ownPrompts } from './record.js';

/** A prompt before and behind its subject. */
export type Frame = readonly [before: string, behind: string];

/** The frame of a prompt; undefined where it does not name the subject. */
export function frameOf(prompt: string, subject: string | undefined): Frame | undefined {
  if (!subject) return undefined;
  const at = prompt.indexOf(subject);
  return at < 0 ? undefined : [prompt.slice(0, at), prompt.slice(at + subject.length)];
}

/** The frames of a record's own prompts, of those that name its subject. */
export function framesOf(record: EditRecord): Frame[] {
  return ownPrompts(record).flatMap((prompt) => {
    const frame = frameOf(prompt, record.subject);
    return frame ? [frame] : [];
  });
}
