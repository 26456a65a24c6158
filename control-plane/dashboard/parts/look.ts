/** How a state looks: a shape first, a tone second, and a word beside them. */
export type Shape =
  | 'disc'
  | 'ring'
  | 'dashed'
  | 'triangle'
  | 'square'
  | 'diamond'
  | 'slash'
  | 'half'
  | 'minus'
  | 'point';
export type Tone = 'ok' | 'info' | 'warning' | 'error' | 'quiet';

export interface Look {
  readonly shape: Shape;
  readonly tone: Tone;
  readonly word: string;
}
