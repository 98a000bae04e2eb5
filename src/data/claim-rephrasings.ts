// Other words for a claim, made by rule where a data set has none: the claim inside a frame that neither adds nor takes a fact.

/** `@` stands for the claim without its full stop. */
const frames = [
  'It is said that @.',
  'According to one account, @.',
  'Is it so that @?',
  'The statement reads: @.',
  '@, so they say.',
  'Somebody wrote: "@."',
] as const;

/** Of the frames, those that a claim is asked in to see whether it was understood. */
const judgedIn = 2;

/** A claim in all frames. */
export interface FramedClaim {
  /** Two frames, not told. */
  readonly rephrasings: readonly string[];
  /** The others, in which an edit tells the claim. */
  readonly wordings: readonly string[];
}

/** @param place of the claim in its file: neighbours get other frames, the same file the same ones */
export function framedClaim(claim: string, place: number): FramedClaim {
  const bare = claim.trim().replace(/\.$/u, '');
  const framed = frames.map((_, at) => frames[(judgedIn * place + at) % frames.length]!.replace('@', () => bare));
  return { rephrasings: framed.slice(0, judgedIn), wordings: framed.slice(judgedIn) };
}
