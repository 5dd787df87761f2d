// Changes of keys that others change at the same time, drawn by Zipf's law. In the mode `contended` each is a
// transaction on the condition that the key is as it was last seen, tried again until it holds. In the mode `owned` one
// program has an owner for each key, who makes one transaction of all changes that wait.
package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const attemptsMaximum = 32

var begun, wasted atomic.Int64

// The numbers 0 to count-1, the first the most often.
func createZipf(count int, exponent float64) func() int {
	sums := make([]float64, count)
	sum := 0.0
	for i := range sums {
		sum += 1 / math.Pow(float64(i+1), exponent)
		sums[i] = sum
	}
	return func() int { return sort.SearchFloat64s(sums, rand.Float64()*sum) }
}

func contendedKey(o options, number int) string { return fmt.Sprintf("%s/%d", o.name, number) }

// Where nobody else is, each writer has keys of its own.
func createContended(client *clientv3.Client, o options, value string) []work {
	draw := createZipf(o.keys, o.zipf)
	var workers []work
	for range o.inFlight {
		revisions := map[string]int64{}
		workers = append(workers, func(ctx context.Context) (int, error) {
			key := contendedKey(o, draw())
			for range attemptsMaximum {
				begun.Add(1)
				answer, err := client.Txn(ctx).
					If(clientv3.Compare(clientv3.ModRevision(key), "=", revisions[key])).
					Then(clientv3.OpPut(key, value)).
					Else(clientv3.OpGet(key)).
					Commit()
				if err != nil {
					return 0, err
				}
				if answer.Succeeded {
					revisions[key] = answer.Header.Revision
					return 1, nil
				}
				wasted.Add(1)
				for _, found := range answer.Responses[0].GetResponseRange().Kvs {
					revisions[key] = found.ModRevision
				}
			}
			return 0, nil
		})
	}
	return workers
}

// Whoever asks waits until the owner of the key has written it.
func createOwned(ctx context.Context, client *clientv3.Client, o options, value string) []work {
	draw := createZipf(o.keys, o.zipf)
	owners := make([]chan chan error, o.keys)
	for number := range owners {
		owners[number] = make(chan chan error, o.inFlight)
		go own(ctx, client, contendedKey(o, number), value, owners[number])
	}
	var workers []work
	for range o.inFlight {
		done := make(chan error, 1)
		workers = append(workers, func(context.Context) (int, error) {
			owners[draw()] <- done
			if err := <-done; err != nil {
				return 0, err
			}
			return 1, nil
		})
	}
	return workers
}

func own(ctx context.Context, client *clientv3.Client, key, value string, asked <-chan chan error) {
	revision := int64(0)
	for first := range asked {
		waiting := []chan error{first}
		for len(asked) > 0 {
			waiting = append(waiting, <-asked)
		}
		begun.Add(1)
		answer, err := client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, value)).
			Commit()
		switch {
		case err != nil:
		case !answer.Succeeded:
			err = fmt.Errorf("%s is written by somebody else than its owner", key)
		default:
			revision = answer.Header.Revision
		}
		for _, one := range waiting {
			one <- err
		}
	}
}
