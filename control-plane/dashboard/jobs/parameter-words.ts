/** Where values of parameters come from, in words. Pure. */
import type {
  JobParameters,
  LayerValue,
  ParameterLayerItem,
} from '../../http/parameter-messages.ts';

/** `origin` is `default` or the scope of a layer. */
export function originWords(origin: string, agentName: string | null): string {
  const at = origin.indexOf(':');
  if (at < 0) return origin === 'fleet' ? 'the whole fleet' : origin;
  const [kind, name] = [origin.slice(0, at), origin.slice(at + 1)];
  if (kind === 'agent') return `device ${agentName ?? name}`;
  return `${kind} ${name}`;
}

/** Every layer that sets a parameter, weakest first, as the API gives them. */
export function valuesOf(
  { layers }: JobParameters,
  name: string,
): { readonly layer: ParameterLayerItem; readonly value: LayerValue }[] {
  return layers.flatMap((layer) =>
    layer.values.filter((value) => value.name === name).map((value) => ({ layer, value })),
  );
}
