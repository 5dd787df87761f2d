/**
 * What a node, a NATS server of a cluster, is given once and keeps in its folder: who it is, whom it believes and its own
 * certificate. No key of an account or of the authority is among it: a node that is stolen can sign nobody in.
 */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { readFileOrNull, secretMode, writeDurableFile } from '../durable-file.ts'

const papersSchema = v.strictObject({
  format: v.literal(1),
  name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,30}$/)),
  clusterName: v.string(),
  listen: v.string(),
  clusterListen: v.string(),
  location: v.optional(v.nullable(v.string()), null),
  routes: v.array(v.string()),
  operatorToken: v.string(),
  systemAccount: v.string(),
  /** As they were when the cluster was made: controllers tell the servers what has changed since. */
  accounts: v.array(v.object({ publicKey: v.string(), token: v.string() })),
})
export type NodePapers = v.InferOutput<typeof papersSchema>

export interface NodeCertificate {
  /** PEM, all three. */
  readonly caCertificate: string
  readonly certificate: string
  readonly key: string
}

const publicMode = 0o644
export const nodeFiles = (folder: string) => ({
  papers: join(folder, 'papers.json'),
  ca: join(folder, 'ca.pem'),
  certificate: join(folder, 'server.pem'),
  key: join(folder, 'server.key'),
})

export async function writeNodePapers(folder: string, papers: NodePapers, issued: NodeCertificate): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const files = nodeFiles(folder)
  await writeDurableFile(files.key, issued.key, secretMode)
  await writeDurableFile(files.certificate, issued.certificate, publicMode)
  await writeDurableFile(files.ca, `${issued.caCertificate}\n`, publicMode)
  await writeDurableFile(files.papers, `${JSON.stringify(papers, null, 2)}\n`, secretMode)
}

/** Throws with what is missing. */
export async function readNodePapers(folder: string): Promise<NodePapers> {
  const files = nodeFiles(folder)
  const text = await readFileOrNull(files.papers)
  if (text === null) {
    throw new Error(
      `${files.papers} is missing: a node is given its folder by \`bun controller/cluster/main.ts\`, which is ` +
        'copied to it from where it was made',
    )
  }
  for (const file of [files.ca, files.certificate, files.key]) {
    if ((await readFileOrNull(file)) === null) throw new Error(`${file} is missing: copy the node's folder as a whole`)
  }
  try {
    return v.parse(papersSchema, JSON.parse(text))
  } catch (cause) {
    throw new Error(`${files.papers} does not hold a node's papers, or those of another version of sluice`, { cause })
  }
}
