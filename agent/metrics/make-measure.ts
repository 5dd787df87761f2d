/** Makes points of our own types. Pure. */

import { orderValues, type PointType, type SourceName } from '../contract/point-types.ts'
import type { Measure } from './measured-instance.ts'

/** Every data source of the type has to be named, so that none can be forgotten or put in another's place. */
export function makeMeasure<Type extends PointType>(
  name: { readonly plugin: string; readonly pluginInstance?: string; readonly typeInstance?: string },
  type: Type,
  values: Readonly<Record<SourceName<Type>, number>>,
): Measure {
  const { plugin, pluginInstance = '', typeInstance = '' } = name
  return { plugin, pluginInstance, type, typeInstance, values: orderValues(type, values) }
}
