# For whatever brings the host up, as `sluice-agent join URL TOKEN`.
ephemeral "sluice_host_join_token" "second" {
  name = "rack-2"
}
