// FEVER (Thorne et al. 2018): edit records of fact checking in the published layout, or the data set's own claims with labels.

import { z } from 'zod';
import { framedClaim } from './claim-rephrasings.js';
import { readJsonListOrLines } from './json-rows.js';
import type { EditRecord } from './record.js';
import type { RecordReader } from './record-reader.js';
import { label, text } from './record-schema.js';
import { verdicts } from './verdict.js';

const verdict = z.enum(verdicts, { error: `expected ${verdicts.join(' or ')}` });

/** The published layout; files have other keys besides. */
const editSchema = z.object({
  id: label.optional(),
  prompt: text,
  equiv_prompt: z.union([text, z.array(text)]).default([]),
  unrel_prompt: text,
  alt: verdict,
  unrel_ans: verdict,
});

const claimSchema = z.object({
  id: label.optional(),
  claim: text,
  label: z.enum([...verdicts, 'NOT ENOUGH INFO'], {
    error: `expected ${verdicts.join(', ')} or NOT ENOUGH INFO`,
  }),
});

type Edit = z.infer<typeof editSchema>;
type Claim = z.infer<typeof claimSchema>;

const schemaOf = (row: unknown): z.ZodType<Edit | Claim> =>
  typeof row === 'object' && row !== null && 'claim' in row ? claimSchema : editSchema;

/** A JSON list or JSON Lines of either layout. */
export const readFever: RecordReader = async function* (source) {
  const pairs = new ClaimPairs();
  for await (const { where, number, row } of readJsonListOrLines(source, schemaOf)) {
    if (!('claim' in row)) yield { where, record: editRecord(row, number) };
    else {
      const record = pairs.take(row, number);
      if (record) yield { where, record };
    }
  }
};

function editRecord(row: Edit, number: number): EditRecord {
  return {
    id: String(row.id ?? `fever-${number}`),
    edit: { prompt: row.prompt, answer: row.alt },
    rephrasings: [row.equiv_prompt].flat().map((prompt) => ({ prompt, answer: row.alt })),
    unrelated: [{ prompt: row.unrel_prompt, answer: row.unrel_ans }],
  };
}

const opposite = { SUPPORTS: 'REFUTES', REFUTES: 'SUPPORTS' } as const;

/**
 * Claims make records two by two: the verdict on the first is turned round, the second is the unrelated one that must keep its
 * own. A claim that comes again is left out, so that none is both; so are claims without enough information, which have no
 * verdict.
 */
class ClaimPairs {
  #first:
    | { readonly id: string; readonly claim: string; readonly label: keyof typeof opposite; number: number }
    | undefined;

  readonly #seen = new Set<string>();

  take({ id, claim, label: found }: Claim, number: number): EditRecord | undefined {
    if (found === 'NOT ENOUGH INFO' || this.#seen.has(claim.trim())) return undefined;
    this.#seen.add(claim.trim());
    const first = this.#first;
    if (!first) {
      this.#first = { id: String(id ?? `fever-${number}`), claim, label: found, number };
      return undefined;
    }
    this.#first = undefined;
    const answer = opposite[first.label];
    const { rephrasings, wordings } = framedClaim(first.claim, first.number);
    return {
      id: first.id,
      edit: { prompt: first.claim, answer },
      wordings,
      rephrasings: rephrasings.map((prompt) => ({ prompt, answer })),
      rephrasedBy: 'rule',
      unrelated: [{ prompt: claim, answer: found, wordings: framedClaim(claim, number).wordings }],
      was: first.label,
    };
  }
}
