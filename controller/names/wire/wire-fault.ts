/** What is wrong with bytes that should have been a DNS message. Thrown and caught within this room. */

export class WireFault extends Error {
  override readonly name = 'WireFault'
}
