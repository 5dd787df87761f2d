/** The lab's TCP workload: gives back what it gets, and closes when the other side does. It touches nothing but its socket. */

import { createServer, type Server } from 'node:net'

export function startEchoWorkload({ port, address = '0.0.0.0' }: { port: number; address?: string }): Server {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {
      socket.destroy()
    })
    socket.pipe(socket)
  })
  return server.listen(port, address)
}
