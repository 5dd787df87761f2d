/** The agent's systemd unit: what it may do, and that its daemons outlive it. */

export interface AgentUnit {
  /** The program and its arguments; the program by its absolute path. */
  readonly argv: readonly string[]
}

/**
 * No setting that gives the unit a mount namespace of its own (`Protect…=` but for the clock, `Private…=`, folders):
 * network namespaces are mounts, those that the agent made would be seen by nobody else, and every daemon in them would
 * fail to start. What such settings would forbid is forbidden by capabilities and system calls instead.
 *
 * Namespaces and their mounts need CAP_SYS_ADMIN, links and rules CAP_NET_ADMIN, the checks of daemons' configurations
 * CAP_NET_RAW, CAP_NET_BIND_SERVICE, CAP_SYS_NICE and the change to their own users, other users' processes CAP_KILL,
 * CAP_SYS_PTRACE and CAP_DAC_OVERRIDE. MemoryDenyWriteExecute is left out, since it silently turns off the compiler that
 * Bun runs by. Its weight is ten programs': whoever judges and mends the others must not starve with them.
 */
export function renderAgentUnit({ argv }: AgentUnit): string {
  return `[Unit]
Description=Sluice agent
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=${argv.map(quoteArgument).join(' ')}
Restart=always
RestartSec=1
KillMode=process
OOMScoreAdjust=-500
CPUWeight=1000
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SYS_ADMIN CAP_SYS_NICE CAP_SYS_PTRACE CAP_KILL CAP_DAC_OVERRIDE CAP_SETUID CAP_SETGID
NoNewPrivileges=yes
KeyringMode=private
LockPersonality=yes
ProtectClock=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
RestrictNamespaces=net mnt
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`
}

/** systemd expands % and $ in what it starts, and splits at blanks. */
const quoteArgument = (argument: string) =>
  `"${argument.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`
