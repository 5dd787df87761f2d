/**
 * A forecaster for each microshard, fed with its history as it grows: one that has come by a split or a merge begins with
 * what it has inherited. What has not earned to be believed is left out. Touches nothing.
 */

import type { MicroshardPolicies } from '../../contract/microshard-policies.ts'
import { createForecaster } from '../forecast/create-forecaster.ts'
import { type Forecaster, isWorthUsing } from '../forecast/forecaster.ts'
import { type LoadSeries, stepMilliseconds } from '../monitoring/load-series.ts'

export interface MicroshardForecasts {
  /** Takes in what has come since, and forgets microshards that are gone. */
  follow(ids: readonly string[]): void
  /** The loads after one step of `stepSeconds`, two and so on to the horizon; null: no forecast is to be believed. */
  expect(id: string, now: number, load: number, prediction: MicroshardPolicies['prediction']): readonly number[] | null
}

/** However far the horizon is: what is decided on is no finer. */
const pointsMaximum = 6

export const stepSecondsOf = ({ horizonSeconds }: MicroshardPolicies['prediction']): number =>
  Math.max(stepMilliseconds / 1000, horizonSeconds / pointsMaximum)

export function createMicroshardForecasts(seriesOf: (id: string) => LoadSeries): MicroshardForecasts {
  const known = new Map<string, { readonly forecaster: Forecaster; upTo: number }>()
  return {
    follow(ids) {
      const kept = new Set(ids)
      for (const id of [...known.keys()]) if (!kept.has(id)) known.delete(id)
      for (const id of ids) {
        const one = known.get(id) ?? { forecaster: createForecaster({ stepMs: stepMilliseconds }), upTo: -1 }
        known.set(id, one)
        for (const { atMilliseconds, value } of seriesOf(id).steps()) {
          if (atMilliseconds <= one.upTo) continue
          one.forecaster.observe({ atMs: atMilliseconds, value })
          one.upTo = atMilliseconds
        }
      }
    },

    expect(id, now, load, prediction) {
      const forecaster = known.get(id)?.forecaster
      if (!prediction.isOn || forecaster === undefined) return null
      const stepSeconds = stepSecondsOf(prediction)
      const points = Math.max(1, Math.floor(prediction.horizonSeconds / stepSeconds))
      let isAnyBelieved = false
      const path = Array.from({ length: points }, (_, i) => {
        const expectation = forecaster.expect(now, (i + 1) * stepSeconds * 1000)
        if (!isWorthUsing(expectation) || expectation.skill < prediction.skillMinimum) return load
        isAnyBelieved = true
        return expectation.value
      })
      return isAnyBelieved ? path : null
    },
  }
}
