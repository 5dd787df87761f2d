/** The agent's systemd unit: what it may do, and that its daemons outlive it. */

export interface AgentUnit {
  /** The program and its arguments; the program by its absolute path. */
  readonly argv: readonly string[]
}

/**
 * Namespaces and mounts need CAP_SYS_ADMIN, daemons of instances CAP_NET_RAW (VRRP), CAP_SYS_NICE (realtime) and
 * CAP_NET_BIND_SERVICE, other users' processes CAP_KILL, CAP_SYS_PTRACE and CAP_DAC_OVERRIDE. MemoryDenyWriteExecute is
 * left out, since it silently turns off the compiler that Bun runs by; PrivateMounts, since namespaces must be seen by all.
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
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SYS_ADMIN CAP_SYS_NICE CAP_SYS_PTRACE CAP_KILL CAP_DAC_OVERRIDE CAP_SETUID CAP_SETGID
NoNewPrivileges=yes
LockPersonality=yes
ProtectClock=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
RestrictSUIDSGID=yes
SystemCallArchitectures=native
UMask=0077

[Install]
WantedBy=multi-user.target
`
}

/** systemd expands % and $ in what it starts, and splits at blanks. */
const quoteArgument = (argument: string) =>
  `"${argument.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`
