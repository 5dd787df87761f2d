data "sluice_hosts" "silent" {
  status = "silent"
}
