-- post.lua: wrk posts one message a request, each with a time of its own.
--
-- Requests are made beforehand except for the digits of their times, which begin with the second
-- FIRST of the environment.  Prints how many answers there were, and how many failed.
local POOL = 20000
local parts = {}
local sent = 0
local first = tonumber(os.getenv("FIRST"))

function init()
   math.randomseed(1)
   for i = 1, POOL do
      -- tag k takes 1% of what the tags before it left
      local tag = math.min(9999, math.floor(math.log(1 - math.random()) / math.log(0.99)))
      local values = {}
      for k = 1, 10 do
         values[k] = string.format("%.2f", math.random() * 1000)
      end
      local before = '{"time":'
      local after = string.format(',"tag":"t%04d","values":[%s]}', tag, table.concat(values, ","))
      parts[i] = {
         string.format("POST /save HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" ..
                       "Content-Length: %d\r\n\r\n%s", #before + 19 + #after, before),
         after
      }
   end
end

function request()
   sent = sent + 1
   local part = parts[sent % POOL + 1]
   return part[1] .. first + math.floor(sent / 1000000) ..
      string.format("%09d", sent % 1000000 * 1000) .. part[2]
end

function done(summary, latency, requests)
   local failed = summary.errors.connect + summary.errors.read + summary.errors.write +
      summary.errors.status + summary.errors.timeout
   io.write(string.format("answers=%d errors=%d\n", summary.requests, failed))
end
