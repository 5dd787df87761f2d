import { describe, expect, test } from 'bun:test'
import { chooseAdvertised, listCertificateNames, localAddress, parseAddress, serverUrl } from './bus-address.ts'

const parse = (text: string) => parseAddress(text, 'the address')

describe('parseAddress', () => {
  test.each([
    ['198.18.0.254:4222', '198.18.0.254', 4222],
    ['bus.example.net:65535', 'bus.example.net', 65535],
    ['[2001:db8::1]:4222', '2001:db8::1', 4222],
  ])('%s', (text, host, port) => {
    expect(parse(text)).toEqual({ host, port })
  })

  test.each(['', ':4222', '198.18.0.254', '198.18.0.254:', '198.18.0.254:0', '1.2.3.4:99999', 'a b:1', '::1:4222'])(
    'refuses %p',
    (text) => {
      expect(() => parse(text)).toThrow('it must be one host and port')
    },
  )
})

test('a server on every address is reached on the loopback from here, and by what is advertised from elsewhere', () => {
  const listen = parse('0.0.0.0:4222')
  expect(localAddress(listen)).toEqual({ host: '127.0.0.1', port: 4222 })
  expect(() => chooseAdvertised(listen, [])).toThrow('advertise')
  const advertised = chooseAdvertised(listen, ['bus.example.net:4222'])
  expect(advertised.map(serverUrl)).toEqual(['tls://bus.example.net:4222'])
  expect(listCertificateNames(listen, advertised, ['198.18.0.254'])).toEqual([
    '127.0.0.1',
    'bus.example.net',
    '198.18.0.254',
  ])
})

test('a server on one address is reached there', () => {
  const listen = parse('198.18.0.254:4222')
  expect(chooseAdvertised(listen, [])).toEqual([listen])
  expect(listCertificateNames(listen, [listen], ['198.18.0.1'])).toEqual(['127.0.0.1', '198.18.0.254'])
})
