data "sluice_host" "found" {
  name = "rack-1"
}
