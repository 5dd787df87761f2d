resource "sluice_host" "first" {
  name   = "rack-1"
  labels = { row = "a", power = "left" }
}
