/**
 * Policies as devices report them, each text read once: heartbeats repeat it, and most of a fleet
 * has the same. The same text gives the same object, by which placement knows that nothing changed.
 */
import { limits } from '@runnel/shared/limits.ts';
import type { DeviceRules } from '@runnel/shared/policy/device-rules.ts';
import { reportedRules } from '@runnel/shared/protocol/policy-report.ts';

interface Reported {
  readonly text: string;
  readonly rules: DeviceRules | undefined;
}

export class ReportedPolicies {
  readonly #byAgent = new Map<string, Reported>();
  readonly #byText = new Map<string, Reported>();

  /** Undefined when it reports none, or one that this release cannot read. */
  of(agent: string): DeviceRules | undefined {
    return this.#byAgent.get(agent)?.rules;
  }

  heard(agent: string, text: string | undefined): void {
    if (text === undefined || text.length > limits.policyReportBytesMax) {
      this.forget(agent);
      return;
    }
    if (this.#byAgent.get(agent)?.text === text) return;
    let reported = this.#byText.get(text);
    if (reported === undefined) {
      reported = { text, rules: reportedRules(text) };
      this.#byText.set(text, reported);
    }
    this.#byAgent.set(agent, reported);
    this.#prune();
  }

  forget(agent: string): void {
    this.#byAgent.delete(agent);
  }

  /** Texts that no agent has any more go when there are as many as agents. */
  #prune(): void {
    if (this.#byText.size <= 2 * this.#byAgent.size) return;
    this.#byText.clear();
    for (const reported of this.#byAgent.values()) this.#byText.set(reported.text, reported);
  }
}
