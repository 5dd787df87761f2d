/** The names on the bus that the agent and the controller share. An agent may use its own host's alone. */

/** JetStream key-value buckets: what each host must have, and what it reports. */
export const desiredBucket = 'desired'
export const statusBucket = 'status'

/** The keys within them, one a host. */
export const instructionsKey = (host: string) => `host.${host}.instructions`
export const reportKey = (host: string) => `host.${host}.report`

/** Inboxes begin with the host's own, so that no agent can read the answers to another. */
export const inboxPrefix = (host: string) => `_INBOX.${host}`

/** How often an agent reports; also the longest that a report may be late before the host counts as silent, times three. */
export const reportIntervalSeconds = 1
export const silentAfterSeconds = 3 * reportIntervalSeconds + 2

/** The largest message: a host's instructions grow with what runs there. nats-server is told so. */
export const payloadMaximumBytes = 8 * 1024 * 1024
