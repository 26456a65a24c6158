export function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, each) => first + each);
}

/** With the one line that runs it again. */
export function verdictOn(seed: number, findings: readonly string[]): string {
  const [first] = findings;
  if (first === undefined) return 'nothing found';
  const again = `RUNNEL_FLEET_SEED=${seed} npx vitest run test/simulation/fleet.test.ts`;
  return `${first}\nrun it again: ${again}`;
}
