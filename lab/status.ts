/** What a lab is right now, read from its state file and from /proc. Changes nothing. */

import { type LabState, labCondition, livingProcess, readLabState } from './lab-state.ts'
import {
  adminTokenFile,
  apiUrl,
  clientAddress,
  controlAddress,
  controllerUrl,
  hostUnderlayAddress,
  type LabSettings,
  nameServerAddress,
  nameServerKeyFile,
  uplinkCidr,
  uplinkGateway,
  zoneOf,
} from './settings.ts'

export type LabStatus = {
  readonly name: string
  readonly status: 'absent' | 'running' | 'broken'
  readonly controller: {
    readonly status: 'on' | 'off'
    readonly url: string
    readonly underlayUrl: string
    readonly tokenFile: string
  } | null
  /** The machines of a cluster; none where one controller does it all. */
  readonly controls: readonly {
    readonly name: string
    readonly status: 'on' | 'off'
    readonly address: string
    readonly node: 'on' | 'off' | null
    readonly controller: 'on' | 'off' | null
    readonly isCut: boolean
  }[]
  /** Null: it has no name server. */
  readonly names: {
    readonly status: 'on' | 'off'
    readonly zone: string
    readonly address: string
    readonly keyFile: string
  } | null
  readonly uplink: { readonly cidr: string; readonly gateway: string }
  readonly client: { readonly status: 'on' | 'off'; readonly address: string }
  readonly hosts: readonly {
    readonly name: string
    readonly status: 'on' | 'off'
    readonly underlayAddress: string
    readonly cut: readonly string[]
    readonly pid: number | null
  }[]
}

/** One of a cluster's is enough. */
const hasController = (state: LabState) =>
  [state.controller.process, ...state.controls.map(({ controller }) => controller?.process ?? null)].some(
    (reference) => livingProcess(reference) !== undefined,
  )

export function observeLab(settings: LabSettings): LabStatus {
  const state = readLabState(settings)
  const onOrOff = (reference: Parameters<typeof livingProcess>[0]) =>
    livingProcess(reference) === undefined ? 'off' : 'on'
  return {
    name: settings.name,
    status: labCondition(state),
    controller:
      state === undefined || state.bare
        ? null
        : {
            status: hasController(state) ? 'on' : 'off',
            url: apiUrl(state),
            underlayUrl: controllerUrl,
            tokenFile: adminTokenFile({ ...settings, diskFolder: state.diskFolder }),
          },
    controls: (state?.controls ?? []).map((control) => ({
      name: control.name,
      status: onOrOff(control.machine),
      address: controlAddress(control.index),
      node: control.node === null ? null : onOrOff(control.node.process),
      controller: control.controller === null ? null : onOrOff(control.controller.process),
      isCut: control.isCut,
    })),
    names:
      state === undefined || state.names === null
        ? null
        : {
            status: onOrOff(state.names.process),
            zone: zoneOf(settings),
            address: nameServerAddress,
            keyFile: nameServerKeyFile({ ...settings, diskFolder: state.diskFolder }),
          },
    uplink: { cidr: uplinkCidr, gateway: uplinkGateway },
    client: { status: onOrOff(state?.client ?? null), address: clientAddress },
    hosts: (state?.hosts ?? []).map((host) => ({
      name: host.name,
      status: onOrOff(host.process),
      underlayAddress: hostUnderlayAddress(host.index),
      cut: host.cut,
      pid: livingProcess(host.process)?.pid ?? null,
    })),
  }
}
