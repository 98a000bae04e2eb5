// A reporter for vitest: at the end of a run, how many tests were skipped and why, one line for each reason.
// Knows no test and counts nothing else.

/** What the test gave as its reason: a note, what its title says after a colon, or else the name of its group. */
function reason(test) {
  const { note } = test.result();
  if (note) return note;
  const [, told] = /: (.+)$/.exec(test.name) ?? [];
  return told ?? (test.parent.type === 'suite' ? test.parent.fullName : test.name);
}

export default class SkippedReporter {
  onTestRunEnd(modules) {
    const groups = new Map();
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const group = groups.get(reason(test)) ?? { count: 0, files: new Set() };
        group.count++;
        group.files.add(module.relativeModuleId);
        groups.set(reason(test), group);
      }
    }
    for (const [why, { count, files }] of groups) console.log(`skipped ${count}: ${why} (${[...files].join(', ')})`);
  }
}
