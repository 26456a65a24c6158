/** MQTT topic names and filters, as the standard says. */

const BYTES_MAX = 65_535;

/** Control characters, non-characters and halves of pairs: brokers end a connection over them. */
const NO_TEXT = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;

/** What is wrong with a subscription's filter, if anything. */
export function filterProblem(filter: string): string | undefined {
  const levels = filter.split('/');
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) {
      return '"#" stands alone and at the end';
    }
    if (level.includes('+') && level !== '+') return '"+" stands alone between slashes';
  }
  return plainProblem(filter);
}

/** What is wrong with a topic that is published to, if anything. */
export function topicProblem(topic: string): string | undefined {
  if (/[+#]/.test(topic)) return 'wildcards are for subscriptions';
  if (topic.startsWith('$')) return "topics that begin with $ are the broker's own";
  return plainProblem(topic);
}

function plainProblem(text: string): string | undefined {
  if (text === '') return 'must not be empty';
  if (NO_TEXT.test(text)) return 'must not hold control characters or what is no character';
  if (new TextEncoder().encode(text).length > BYTES_MAX) return 'is longer than 65,535 bytes';
  return undefined;
}
