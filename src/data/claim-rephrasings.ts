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

/** How many a claim gets, of those there are. */
const framesEach = 2;

/** @param place of the claim in its file: neighbours get other frames, the same file the same ones */
export function framedClaims(claim: string, place: number): string[] {
  const bare = claim.trim().replace(/\.$/u, '');
  return Array.from({ length: framesEach }, (_, at) => {
    const frame = frames[(framesEach * place + at) % frames.length]!;
    return frame.replace('@', () => bare);
  });
}
