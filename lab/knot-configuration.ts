/**
 * What a name server of ours is told: Knot's settings, its zone before anybody has written in it, and its key. Pure texts;
 * who runs it writes them.
 */

export interface KnotSettings {
  /** Its own, for everything that it writes. */
  readonly folder: string
  readonly zone: string
  /** `198.18.49.2@53`, as many as are wanted. */
  readonly listen: readonly string[]
  /** `hmac-sha256:<name>:<secret in base 64>`: may change the zone and read all of it. */
  readonly key: string
}

export const zoneFile = ({ folder, zone }: Pick<KnotSettings, 'folder' | 'zone'>) => `${folder}/${zone}.zone`
export const configurationFile = ({ folder }: Pick<KnotSettings, 'folder'>) => `${folder}/knot.conf`

/** How long a client may believe that a name is not there. */
const absentSeconds = 1
const journalMegabytes = 256

export function renderKnotConfiguration(settings: KnotSettings): string {
  const [algorithm = '', name = '', secret = ''] = settings.key.split(':')
  return `# Written whole by whoever starts this name server.
server:
    rundir: "${settings.folder}"
    listen: [ ${settings.listen.join(', ')} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    automatic-acl: off
log:
  - target: stderr
    any: warning
database:
    storage: "${settings.folder}"
    journal-db-max-size: ${journalMegabytes}M
key:
  - id: ${name}
    algorithm: ${algorithm}
    secret: ${secret}
acl:
  - id: keeper
    key: ${name}
    action: [ update, transfer ]
zone:
  - domain: ${settings.zone}
    storage: "${settings.folder}"
    file: "${zoneFile(settings)}"
    acl: keeper
    # What was changed is in the journal, which outlives a crash; the file is written now and then.
    zonefile-sync: 60
`
}

export function renderEmptyZone({ zone }: Pick<KnotSettings, 'zone'>): string {
  return `$ORIGIN ${zone}.
@ 60 SOA ns hostmaster 1 3600 600 86400 ${absentSeconds}
@ 60 NS ns
ns 60 A 127.0.0.1
`
}
