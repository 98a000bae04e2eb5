// A reporter for vitest: at the end of a run, which tests were skipped and why, a line for each group of them.
// Knows no test and counts nothing else.

/** The reason that a test gave, or the outermost name that it shares with the others of its group. */
function reason(test) {
  const { note } = test.result();
  if (note) return `${test.fullName}: ${note}`;
  return test.parent.type === 'suite' ? test.parent.fullName : test.fullName;
}

export default class SkippedReporter {
  onTestRunEnd(modules) {
    const counts = new Map();
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const group = `${module.relativeModuleId}: ${reason(test)}`;
        counts.set(group, (counts.get(group) ?? 0) + 1);
      }
    }
    for (const [group, count] of counts) console.log(`skipped ${count > 1 ? `${count} of ` : ''}${group}`);
  }
}
