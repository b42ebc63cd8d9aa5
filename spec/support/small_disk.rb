# frozen_string_literal: true

require "etc"
require "fileutils"
require "tmpdir"

# A disk in memory that is soon full. Only the processes started on it see it, and it is gone with them. Mounting takes Linux and root.
class SmallDisk
  # What is mounted here must not show elsewhere. In a lane it does not, and cannot be told not to: a changed root is no mount point.
  MOUNT = <<~SH
    options=$1 directory=$2
    shift 2
    mount --make-rprivate / 2>/dev/null
    mount -t tmpfs -o "$options" tmpfs "$directory" && exec "$@"
  SH
  ENTRANCE = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", MOUNT, "sh"].freeze

  # @return [String, nil] why there can be none here
  def self.obstacle
    "mounting a disk in memory takes Linux and root" unless system(*ENTRANCE, "size=1m", "/mnt", "true", out: File::NULL, err: File::NULL)
  end

  # @return [String] where it is
  attr_reader :directory

  # @param owner [String] a user
  def initialize(megabytes:, owner:)
    @options = "size=#{megabytes}m,mode=700,uid=#{Etc.getpwnam(owner).uid}"
    @directory = Dir.mktmpdir("disk")
  end

  # @return [Array<String>] a command that runs another one that sees the disk
  def entrance
    [*ENTRANCE, @options, directory]
  end

  def remove
    FileUtils.remove_entry(directory)
  end
end
