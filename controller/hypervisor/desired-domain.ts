/**
 * What one libvirt host must have: its domains, and the volumes that they start from. The controller plans it; the
 * stack of the host is made of it and of nothing else. Types, and what libvirt takes for a name. Pure.
 */

/** All that is desired of one host. What is ours there and is not in it goes. */
export interface DesiredHost {
  /** The host's name in the rack: its stack is `host-<name>`. */
  readonly host: string
  readonly connection: HypervisorConnection
  readonly domains: readonly DesiredDomain[]
  /**
   * The domains that somebody has asked to be deleted: these alone are destroyed. One that is neither here nor in
   * `domains` is a mistake of whoever plans, and is escalated.
   */
  readonly removedIds: readonly string[]
  /** The host gives everything of ours up, its pool too. */
  readonly isLeaving: boolean
}

export interface HypervisorConnection {
  /** `qemu:///system`, `qemu+ssh://root@host-1/system`, `qemu+tls://host-1/system`. */
  readonly uri: string
  /** Where volumes are kept: a directory pool of ours on the host, made where it is missing. */
  readonly poolPath: string
  /** What the host was found to run: kvm where it works there, else qemu. Asked of the host, never assumed. */
  readonly domainType: 'kvm' | 'qemu'
  /** Of the machine type's family; `q35` boots by ACPI and PCI Express, `pc` on the oldest of images too. */
  readonly machineType: 'q35' | 'pc'
}

/** A libvirt domain: a machine, or the instance of a load balancer. */
export interface DesiredDomain {
  /** Of the machine (`mch_…`) or the instance (`lbi_…`); it is the domain's name in libvirt, so that what is ours is known. */
  readonly id: string
  /** What people call it: shown in the domain's title. */
  readonly name: string
  readonly vcpus: number
  readonly memoryMiB: number
  /** The first is the one that it boots from, where it boots from a disk. */
  readonly disks: readonly DesiredDisk[]
  readonly interfaces: readonly DesiredInterface[]
  readonly boot: DesiredBoot
  readonly configuration: DesiredConfiguration
  /** On the host, appended by libvirt's log daemon: what the guest says on its first serial port. */
  readonly consoleLogPath: string
  /** False: it is there, and off. */
  readonly isRunning: boolean
}

/** A volume of the domain's own. It outlives a replacement of the domain, and goes when it is no longer desired. */
export interface DesiredDisk {
  /** Unique within the domain, and for ever the same disk: `root`, `data`. */
  readonly name: string
  /** At least the image's size; bytes are rounded up to a MiB. */
  readonly sizeMiB: number
  /** What it begins as; null: empty. */
  readonly image: DesiredImage | null
}

/** Read-only on the host, and shared by all disks that lie over it. */
export interface DesiredImage {
  /** Hex SHA-256 of the file: two images of one content are one volume, and a volume never changes. */
  readonly sha256: string
  readonly format: 'qcow2' | 'raw'
  /** A path on the controller's machine. */
  readonly source: string
}

export interface DesiredInterface {
  readonly mac: string
  /** A bridge of the host, made by its agent; never a network of libvirt's. */
  readonly bridge: string
}

export type DesiredBoot =
  | { readonly kind: 'disk' }
  | {
      readonly kind: 'kernel'
      /** Files of the host. */
      readonly kernelPath: string
      readonly initrdPath: string | null
      /** The kernel's command line: `console=ttyS0 root=/dev/vda ro`. */
      readonly commandLine: string
    }

/** What the guest is told at its first boot. */
export type DesiredConfiguration =
  | { readonly kind: 'none' }
  /** A disk that cloud-init reads (NoCloud). */
  | {
      readonly kind: 'cloudInit'
      readonly userData: string
      readonly metaData: string
      /** Netplan's version 2; null: the guest asks by DHCP. */
      readonly networkConfig: string | null
    }
  /** A raw volume that the guest mounts itself, the last of its disks; the source is as that of an image. */
  | { readonly kind: 'file'; readonly source: string; readonly sha256: string }
