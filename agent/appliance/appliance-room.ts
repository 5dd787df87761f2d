/**
 * The room of instances that are virtual machines: hands each appliance what is wanted of it, and tells how they fare. It
 * never holds a turn up, since each appliance has a loop of its own.
 */

import { readFileSync } from 'node:fs'
import type { HostInstructions } from '../contract/host-instructions.ts'
import type { HostDevices } from '../kernel/desired-kernel.ts'
import { connectWithin, openSshSession } from '../operations/ssh-session.ts'
import type { InstanceCondition, Room } from '../room.ts'
import { type Appliance, type ApplianceOptions, createAppliance, type WantedAppliance } from './appliance.ts'
import { applianceInstances } from './virtual-machines.ts'

export interface ApplianceRoom extends Room {
  conditions(): ReadonlyMap<string, InstanceCondition>
  close(): void
}

export interface ApplianceRoomOptions {
  readonly devices: HostDevices
  readonly onNews: () => void
  readonly open?: ApplianceOptions['open']
}

const sshPort = 22
const consoleCharactersMaximum = 2000

export function createApplianceRoom({ devices, onNews, open = openAppliance }: ApplianceRoomOptions): ApplianceRoom {
  const appliances = new Map<string, Appliance>()
  const options: ApplianceOptions = { open, devices, now: () => performance.now(), readConsole: readTail, onNews }
  return {
    name: 'appliances',
    look({ desired }) {
      const wanted = listWanted(desired)
      for (const [id, appliance] of appliances) {
        if (wanted.has(id)) continue
        appliance.close()
        appliances.delete(id)
      }
      for (const [id, each] of wanted) {
        const known = appliances.get(id)
        if (known === undefined) appliances.set(id, createAppliance(each, options))
        else known.want(each)
      }
      return Promise.resolve([])
    },
    conditions: () => new Map([...appliances].map(([id, appliance]) => [id, appliance.condition()])),
    close() {
      for (const appliance of appliances.values()) appliance.close()
    },
  }
}

function listWanted(desired: HostInstructions): ReadonlyMap<string, WantedAppliance> {
  const networks = new Map(desired.networks.map((network) => [network.id, network]))
  return new Map(
    applianceInstances(desired).flatMap((instance): [string, WantedAppliance][] =>
      instance.appliance === undefined
        ? []
        : [[instance.id, { instance, appliance: instance.appliance, network: networks.get(instance.networkId) }]],
    ),
  )
}

/** From the project's namespace, where the network's gateway is. */
const openAppliance: ApplianceOptions['open'] = ({ instance, appliance }, onEnd) =>
  openSshSession(
    {
      connect: () => connectWithin(instance.projectId, instance.network.address, sshPort),
      user: 'root',
      privateKey: appliance.privateKey,
      hostKey: appliance.hostKey,
    },
    onEnd,
  )

/** In words that can be added to a report. */
function readTail(path: string): string {
  try {
    const text = readFileSync(path, 'utf8').slice(-consoleCharactersMaximum)
    return `; its console says: ${text.trim()}`
  } catch {
    return ''
  }
}
