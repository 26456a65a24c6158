/** `/api/v1/tokens` and sign-in links: made here, shown once, hashed at rest. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { labels as labelsSchema } from '@runnel/shared/protocol/enrolment.ts';
import type { Kysely } from 'kysely';
import { installLine } from '../packages/install-script.ts';
import type { PackageFolder } from '../packages/package-folder.ts';
import { appendAudit } from '../store/audit.ts';
import type { Schema } from '../store/schema.ts';
import { listTokens, revokeToken } from '../store/tokens.ts';
import type { Identity } from '../identity/identity.ts';
import type { MadeToken } from '../identity/join-tokens.ts';
import { notFound } from './problem.ts';
import type { RoleGuards } from './role-guards.ts';
import { actorOf, newRouter, type Router } from './router.ts';
import { json, problems } from './schemas/common-schemas.ts';

export interface TokenRoutesParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly identity: Pick<Identity, 'createJoinToken' | 'createApiToken' | 'createSignInLink'>;
  /** Where devices and browsers reach this control plane, given how this request did. */
  readonly publicUrl: (requestUrl: string) => string;
  readonly packages: PackageFolder;
  readonly guards: RoleGuards;
}

const ROLE = z.enum(['agent', 'viewer', 'operator', 'admin']);
/** A year: whoever wants longer makes a new one. */
const EXPIRES_MS_MAX = 366 * 24 * 3_600_000;
/** Join tokens travel in shell histories and images, so they end by themselves. */
const JOIN_EXPIRES_MS = 24 * 3_600_000;

const tokenSchema = z
  .object({
    id: z.string(),
    role: ROLE,
    name: z.string(),
    labels: z.record(z.string(), z.string()),
    uses: z.number().int().nullable(),
    usesMax: z.number().int().nullable(),
    expiresAt: z.number().nullable(),
    createdAt: z.number(),
    createdBy: z.string(),
    revokedAt: z.number().nullable(),
  })
  .openapi('Token');

const installSchema = z
  .object({
    command: z.string().nullable().openapi({
      description: 'The one line that installs the agent on a device; null: there are no archives.',
    }),
    version: z.string().nullable().openapi({ description: 'The release that it installs.' }),
    problem: z.string().nullable().openapi({ description: 'Why there are none, for people.' }),
  })
  .openapi('Install', { description: 'For role agent.' });

const newTokenSchema = z
  .object({
    id: z.string(),
    role: ROLE,
    token: z.string().openapi({ description: 'Shown this once.' }),
    expiresAt: z.number().nullable(),
    enrollCommand: z.string().optional().openapi({
      description: 'For role agent: the command on a device that has the sources.',
    }),
    install: installSchema.optional(),
  })
  .openapi('NewToken');

export function tokenRoutes(parts: TokenRoutesParts): Router {
  const router = newRouter();
  addCreate(router, parts);
  addListAndRevoke(router, parts);
  addSignInLinks(router, parts);
  return router;
}

function addCreate(router: Router, parts: TokenRoutesParts): void {
  const create = createRoute({
    method: 'post',
    path: '/tokens',
    tags: ['tokens'],
    summary: 'Make a token; role agent gives a join token for devices',
    description:
      'Operators make join tokens; tokens of people and programs need the role admin. A join ' +
      'token ends after 24 hours unless `expiresMs` says otherwise, a bearer token does not.',
    middleware: parts.guards.operator,
    request: {
      body: {
        required: true,
        content: {
          'application/json': {
            schema: z.strictObject({
              role: ROLE,
              name: z.string().max(128).optional(),
              labels: labelsSchema.optional().openapi({
                description: 'Role agent: labels that devices get and cannot change.',
              }),
              uses: z.number().int().min(1).max(1_000_000).optional(),
              expiresMs: z.number().int().min(1000).max(EXPIRES_MS_MAX).optional(),
            }),
          },
        },
      },
    },
    responses: { 201: json(newTokenSchema, 'The token, shown once'), ...problems },
  });
  router.openapi(create, async (c) => {
    const body = c.req.valid('json');
    const actor = actorOf(c);
    if (body.role !== 'agent') {
      await parts.guards.admin(c, () => Promise.resolve());
      const made = await parts.identity.createApiToken({
        role: body.role,
        name: body.name ?? '',
        expiresMs: body.expiresMs ?? null,
        createdBy: actor.id,
      });
      await audit(parts, actor.id, 'token.create', made.id, { role: body.role, name: body.name });
      return c.json({ ...shown(made), role: body.role }, 201);
    }
    const made = await parts.identity.createJoinToken({
      labels: body.labels ?? {},
      usesMax: body.uses ?? null,
      expiresMs: body.expiresMs ?? JOIN_EXPIRES_MS,
      createdBy: actor.id,
    });
    await audit(parts, actor.id, 'token.create', made.id, { role: 'agent', labels: body.labels });
    const url = parts.publicUrl(c.req.url);
    const enrollCommand =
      `npx runnel-agent enroll --url ${url} --token ${made.token} --data ./runnel-agent` +
      ' && npx runnel-agent run --data ./runnel-agent';
    const install = await installOf(parts.packages, url, made.token);
    return c.json({ ...shown(made), role: body.role, enrollCommand, install }, 201);
  });
}

/** A control plane without archives still adds devices, from sources. */
async function installOf(
  packages: PackageFolder,
  url: string,
  token: string,
): Promise<z.infer<typeof installSchema>> {
  try {
    const { manifest, installer } = await packages.offer();
    const privateCa = packages.hasPrivateCa;
    const command = installLine({ url, token, sha256: installer.sha256, privateCa });
    return { command, version: manifest.version, problem: null };
  } catch (error) {
    if (!(error instanceof RunnelError)) throw error;
    const hint = error.hint === undefined ? '' : `; ${error.hint}`;
    return { command: null, version: null, problem: `${error.message}${hint}` };
  }
}

const shown = ({ id, token, expiresAt }: MadeToken): MadeToken => ({ id, token, expiresAt });

function addListAndRevoke(router: Router, parts: TokenRoutesParts): void {
  const list = createRoute({
    method: 'get',
    path: '/tokens',
    tags: ['tokens'],
    summary: 'Tokens without their secrets, newest first',
    middleware: parts.guards.operator,
    responses: {
      200: json(z.object({ items: z.array(tokenSchema).readonly() }), 'Tokens'),
      ...problems,
    },
  });
  router.openapi(list, async (c) => c.json({ items: await listTokens(parts.db) }, 200));

  const revoke = createRoute({
    method: 'delete',
    path: '/tokens/{id}',
    tags: ['tokens'],
    summary: 'Revoke a token; devices that joined by it stay',
    middleware: parts.guards.operator,
    request: { params: z.object({ id: z.string().max(64) }) },
    responses: { 204: { description: 'Revoked' }, ...problems },
  });
  router.openapi(revoke, async (c) => {
    const { id } = c.req.valid('param');
    const token = (await listTokens(parts.db)).find((candidate) => candidate.id === id);
    if (token === undefined || token.revokedAt !== null) throw notFound('token', id);
    if (token.role !== 'agent') await parts.guards.admin(c, () => Promise.resolve());
    await revokeToken(parts.db, id, parts.clock.now());
    await audit(parts, actorOf(c).id, 'token.revoke', id, { role: token.role });
    return c.body(null, 204);
  });
}

function addSignInLinks(router: Router, parts: TokenRoutesParts): void {
  const create = createRoute({
    method: 'post',
    path: '/sign-in-links',
    tags: ['tokens'],
    summary: 'A link that signs a browser in once, with the role of whoever asks for it',
    middleware: parts.guards.viewer,
    responses: {
      201: json(z.object({ url: z.string(), expiresAt: z.number() }), 'The link'),
      ...problems,
    },
  });
  router.openapi(create, async (c) => {
    const actor = actorOf(c);
    const { role, tokenId } = actor;
    const { code, expiresAt } = await parts.identity.createSignInLink(role, tokenId);
    await audit(parts, actor.id, 'sign-in-link.create', role);
    const url = `${parts.publicUrl(c.req.url)}/signin?code=${encodeURIComponent(code)}`;
    return c.json({ url, expiresAt }, 201);
  });
}

async function audit(
  parts: TokenRoutesParts,
  actor: string,
  action: string,
  subject: string,
  data?: unknown,
): Promise<void> {
  await appendAudit(parts.db, { at: parts.clock.now(), actor, action, subject, data });
}
