# frozen_string_literal: true

class ZooMailer < ActionMailer::Base
  # Sees what has been sent. Nothing leaves this process.
  class Postman
    def self.delivered_email(mail)
      DemoNote.create!(subject: "ZooMailer", text: "#{mail.subject} to #{mail.to.join(", ")}")
    end
  end

  register_observer Postman

  def news(reader)
    mail(from: "zoo@example.com", to: reader, subject: "A calf", body: "It stands already.")
  end
end
