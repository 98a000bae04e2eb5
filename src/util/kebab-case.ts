// A name of an option as its flag is spelt. Knows no option.

/** @example kebabCase('maxGradientNorm') // 'max-gradient-norm' */
export function kebabCase(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
