/**
 * Prometheus text. `/metrics` needs the role viewer: Prometheus sends a bearer token
 * (`authorization: { credentials_file }`), and a control plane behind a local proxy would take
 * the whole world for loopback.
 */

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export function renderPrometheus(families: readonly MetricFamily[]): string {
  const lines = families.flatMap((family) => [
    `# HELP ${family.name} ${family.help.replaceAll(/[\\\n]/g, ' ')}`,
    `# TYPE ${family.name} ${family.type}`,
    ...family.samples.map((sample) => `${family.name}${labelText(sample.labels)} ${sample.value}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function labelText(labels: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${quoted(value)}`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** Counts that go up, by the values of fixed labels; bounded because routes and codes are. */
export class Counters {
  readonly #name: string;
  readonly #help: string;
  readonly #labelNames: readonly string[];
  readonly #values = new Map<string, { labels: Record<string, string>; value: number }>();

  constructor(name: string, help: string, labelNames: readonly string[] = []) {
    this.#name = name;
    this.#help = help;
    this.#labelNames = labelNames;
  }

  add(values: readonly string[] = [], by = 1): void {
    const key = values.join('\u0000');
    const old = this.#values.get(key);
    if (old !== undefined) {
      old.value += by;
      return;
    }
    const labels = Object.fromEntries(
      this.#labelNames.map((name, index) => [name, values[index] ?? '']),
    );
    this.#values.set(key, { labels, value: by });
  }

  family(): MetricFamily {
    const samples = [...this.#values.values()];
    const zero = this.#labelNames.length === 0 && samples.length === 0 ? [{ value: 0 }] : samples;
    return { name: this.#name, help: this.#help, type: 'counter', samples: zero };
  }
}

export function gauge(name: string, help: string, value: number): MetricFamily {
  return { name, help, type: 'gauge', samples: [{ value }] };
}
