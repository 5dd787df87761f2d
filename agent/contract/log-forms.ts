/** In which form an access log has the addresses of clients. Pure. */

/** `full`, the first 24 bits of IPv4 and 48 of IPv6, or nothing at all: the rest never leaves haproxy. */
export const clientAddressForms = ['full', 'shortened', 'none'] as const
