/**
 * Sends packets, or says which come, from within a namespace that it was started in:
 *   bun collectd-packets.ts send PORT BASE64…      one packet each
 *   bun collectd-packets.ts record PORT            the first that comes, in base64
 */

export {}

const [task = '', portText = '', ...packets] = process.argv.slice(2)
const port = Number(portText)
const address = '127.0.0.1'

switch (task) {
  case 'send': {
    const socket = await Bun.udpSocket({ hostname: address, port: 0 })
    for (const packet of packets) socket.send(Buffer.from(packet, 'base64'), port, address)
    socket.close()
    break
  }
  case 'record': {
    const packet = Promise.withResolvers<string>()
    const socket = await Bun.udpSocket({
      hostname: address,
      port,
      socket: { data: (_, bytes) => packet.resolve(Buffer.from(bytes).toString('base64')) },
    })
    process.stdout.write(await packet.promise)
    socket.close()
    break
  }
  default:
    throw new Error(`there is no task '${task}'`)
}
