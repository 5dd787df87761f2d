/** What is called how, in a stack and on its host: names follow from ids, so that what is ours is known by its name. Pure. */

import type { DesiredDisk, DesiredImage } from '../desired-domain.ts'

/** Our storage pool, on every host. */
export const poolName = 'sluice'

/** Of machines and instances: a domain of such a name is ours, and no other. */
export const ownDomainPattern = /^(mch|lbi)_[0-9a-hjkmnp-tv-z]{25}$/

export const imageVolume = ({ sha256, format }: Pick<DesiredImage, 'sha256' | 'format'>) => `image-${sha256}.${format}`
export const diskVolume = (domainId: string, { name }: Pick<DesiredDisk, 'name'>) => `${domainId}-${name}.qcow2`
export const configurationVolume = (domainId: string) => `${domainId}-configuration.raw`
export const cloudInitVolume = (domainId: string) => `${domainId}-cloud-init.iso`

/** A resource's own name in the stack: that of its volume, without the dot, which no such name may have. */
export const resourceName = (volume: string) => volume.replaceAll('.', '-')

/** Where, below the folder that a stack is applied in, a file of this content lies: the same on every controller. */
export const stagedFile = (sha256: string) => `files/${sha256}`
